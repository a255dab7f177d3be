library(shiny)
library(keras)
ui <- fluidPage(sliderInput("lr", "Learning rate", 0.0001, 0.1, 0.01), plotOutput("curve"))
server <- function(input, output, session) {
  trained <- reactive({
    model <- keras_model_sequential() %>% layer_dense(8, input_shape = 3) %>% layer_dense(1)
    model %>% compile(optimizer = optimizer_sgd(input$lr), loss = "mse")
    model %>% fit(x, y, epochs = 10)
  })
  output$curve <- renderPlot(plot(trained()))
}
shinyApp(ui, server)
